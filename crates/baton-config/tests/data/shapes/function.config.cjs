module.exports = async () => ({ default: { default: [{ script: "srv/server.js" }] } })
