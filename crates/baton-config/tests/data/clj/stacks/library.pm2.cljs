(ns stacks.library
  (:require [pm2-clj.dsl :as dsl]))

(def base (dsl/def-app :base {:script "sleep" :interpreter "none" :args ["5"]}))

(let [{:keys [stack worker]} (dsl/services base {:api (dsl/port 8080)
                                                 :worker {:env {:QUEUE :mail}}})
      full (dsl/compose stack
                        (dsl/matrix stack
                                    :dev (dsl/env {:DEBUG true})
                                    :dev (dsl/on :worker {:args dsl/remove} stack)))]
  (dsl/library
   (dsl/export :default full)
   (dsl/export :worker-only (dsl/stack (dsl/with worker {:max-restarts 2})))))
