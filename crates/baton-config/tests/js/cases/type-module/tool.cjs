exports.helper = () => typeof require;
module.exports.unused = 1;
