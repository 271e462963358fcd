process.env.NUMBER = 5; process.env.UNDEF = undefined; process.env.OBJ = {}; delete process.env.HOME;
module.exports = { apps: [], env: [process.env.NUMBER, process.env.UNDEF, process.env.OBJ, process.env.HOME ?? null, 'NUMBER' in process.env, typeof process.env.toString, Object.keys(process.env).includes('OBJ')] };
