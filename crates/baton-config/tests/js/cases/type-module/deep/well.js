export const depth = 7;
