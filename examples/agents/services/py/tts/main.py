import os, sys, time

print("tts is up as", os.environ["PM2_PROCESS_NAME"], "heartbeat", os.environ["HEARTBEAT_PORT"], "agent", os.environ.get("AGENT_NAME", "none"))
sys.stdout.flush()
time.sleep(1_000_000)
