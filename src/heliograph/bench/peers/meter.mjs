// What the senders for Node.js share: the task they read, the meter, the report they print.
import { readFileSync } from 'node:fs';

export const task = JSON.parse(readFileSync(0, 'utf8'));

export const tokens = Array.from(
  { length: task.count + 1 },
  (_, number) => task.token_prefix + number.toString(16).padStart(64, '0'),
);

/** Does the work, and prints what it took; requests are those measured and one before. */
export async function measure(work) {
  const began = process.hrtime.bigint();
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  const wall_seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const report = {
    sent: task.count,
    requests: task.count + 1,
    cpu_seconds: (user + system) / 1e6,
    wall_seconds,
    peak_bytes: peakBytes(),
  };
  console.log(JSON.stringify(report));
}

/** The most memory resident: maxRSS counts the parent's, so Linux's file is asked first. */
function peakBytes() {
  try {
    return Number(/VmHWM:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}
