(ns later)
(defn soon [] :nothing)
