export default undefinedName.apps;
