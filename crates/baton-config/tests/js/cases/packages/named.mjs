const whole = { named: 'module.exports' };
export { whole as 'module.exports' };
