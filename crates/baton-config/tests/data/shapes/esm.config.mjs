export default { apps: [{ script: "srv/server.js" }] }
