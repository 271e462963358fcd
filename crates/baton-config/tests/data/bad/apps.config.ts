const name: string = "a";
enum Mode { Dev }
export default { apps: [{ name, script: Mode.Dev }] };
