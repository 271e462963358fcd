const d = new Date(Date.UTC(2026, 10, 21, 5, 11, 48, 7));
module.exports = { apps: [], iso: d.toISOString(), json: d, time: d.getTime(), utc: [d.getUTCDay(), d.getUTCHours()], parsed: [Date.parse('2026-01-02'), Date.parse('2026-01-02T03:04:05Z'), Date.parse('2026-01-02T03:04:05.678+02:00')], string: d.toUTCString() };
