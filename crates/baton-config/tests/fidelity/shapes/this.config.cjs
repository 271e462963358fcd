this.apps = [{ name: 'a', script: 'a.js', same: this === exports && this === module.exports }];
