export const s1 = 1, s2 = [2]; export default 'not passed on';
