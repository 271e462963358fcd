class App { #secret = 1; static count = 0; constructor(name) { this.name = name; App.count++; } get script() { return 'hidden'; } toJSON() { return { name: this.name, script: `${this.name}.js`, n: App.count, s: this.#secret }; } }
class Plain { script = 'p.js'; name = 'plain'; get computed() { return 1; } method() {} }
module.exports = { apps: [new App('a'), new App('b'), new Plain()] };
