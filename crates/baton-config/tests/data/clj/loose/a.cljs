(ns a (:require [clobber.macro :refer [defapp ecosystem]] [helpers :as h]))
(defapp "a" (h/sleeper 10))
(ecosystem)
