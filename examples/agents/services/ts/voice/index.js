console.log('voice is up as', process.env.PM2_PROCESS_NAME, 'heartbeat', process.env.HEARTBEAT_PORT, 'agent', process.env.AGENT_NAME ?? 'none');
setInterval(() => {}, 1 << 30);
