require(undefined);
