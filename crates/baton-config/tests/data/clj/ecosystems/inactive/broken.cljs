(this is broken
