export default { apps: [(await import('./lib/data.json')).default] };
