exports.passed = 'on';
