module.exports = [{ name: "api", script: "srv/server.js", instances: "abc" }];
