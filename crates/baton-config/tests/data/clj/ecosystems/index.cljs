;; Only what is required here is active.
(ns index
  (:require [clobber.macro :as clobber]
            [kitchen]
            [front-desk]
            [shared]))

(defn -main [& _])

(set! (.-exports js/module) (clj->js (clobber/ecosystem)))
