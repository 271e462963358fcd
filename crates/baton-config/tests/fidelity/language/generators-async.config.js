async function* counted(n) { for (let i = 0; i < n; i++) { await null; yield i; } }
module.exports = (async () => {
  const seen = []; for await (const i of counted(3)) seen.push(i);
  const settled = await Promise.allSettled([Promise.resolve(1), Promise.reject(new Error('no')), 3]);
  return { apps: [], seen, settled: settled.map((s) => s.status), any: await Promise.any([Promise.reject(1), Promise.resolve(2)]), race: await Promise.race([new Promise(() => {}), Promise.resolve('r')]) };
})();
