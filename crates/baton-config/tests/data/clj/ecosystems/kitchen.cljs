(ns kitchen
  (:require [clobber.macro :refer [defapp ecosystem-output]]
            [shared :as shared]))

(def oven-port 8901)

(defapp "kitchen-oven"
  (assoc shared/common
         :script "bash"
         :args ["-lc" "exec ./oven --say \"ready\""]
         :max-restarts 5
         :min-uptime 10000
         :kill_timeout 4000
         :env (merge (:env shared/common) {:PORT oven-port})))

#_(defapp "kitchen-fridge" {:script "sleep" :args ["1"]})

(defapp "kitchen-timer"
  {:script "sleep"
   :interpreter "none"
   :args "60"
   :cron_restart "0 * * * *"
   :autorestart false
   :env_file nil})

(ecosystem-output)
