exports.self = require('fixture/self');
