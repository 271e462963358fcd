export const apps = [{ script: "srv/server.js" }]
