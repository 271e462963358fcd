(ns front-desk
  (:require [clobber.macro :refer [defapp defprofile]]
            [clojure.string :as str]
            [shared :refer [common token]]))

(doseq [[n floor] (map-indexed vector [:lobby :attic])
        :let [id (str/join "." ["desk" (name floor)])]]
  (defapp id
    (-> common
        (assoc :script "sleep" :args ["30"])
        (update :env merge {:TOKEN token :PORT (+ 9000 n)}))))

(defprofile :night
  (defapp "desk.attic" {:env {:LIGHTS "off"}}))
