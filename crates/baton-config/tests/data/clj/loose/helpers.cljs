(ns helpers)
(defn sleeper [seconds & {:keys [shell] :or {shell "none"}}]
  {:script "sleep" :interpreter shell :args [(str seconds)]})
