export const seen = process.env.ROOT_ECOSYSTEM;
