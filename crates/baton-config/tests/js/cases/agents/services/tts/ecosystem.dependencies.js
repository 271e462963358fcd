exports.apps = [{ name: 'broker', script: './broker' }];
