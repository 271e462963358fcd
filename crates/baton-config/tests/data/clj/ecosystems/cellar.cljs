(ns cellar (:require [clobber.macro :refer [defapp]]))
(defapp "cellar" {:script "nothing-reads-this"})
