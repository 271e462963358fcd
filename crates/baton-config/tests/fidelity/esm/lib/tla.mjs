export default await Promise.resolve(['waited']);
