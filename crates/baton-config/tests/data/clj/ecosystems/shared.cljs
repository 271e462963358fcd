(ns shared)

(def token (clobber.macro/env-var :DESK_TOKEN "local-only"))
(def common
  {:interpreter "none"
   :autorestart true
   :env {:NODE_ENV "development" :LOG_DIR (str js/process.env.HOME "/logs")}})
