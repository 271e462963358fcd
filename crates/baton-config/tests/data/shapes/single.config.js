module.exports = { apps: { script: "srv/server.js" } }
