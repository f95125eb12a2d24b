// The work that everybody in bench/ gets; see bench/work.py.
const { createHash } = require("node:crypto");
const Redis = require("ioredis");

const ZONES = ["UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Sydney"];
const redis = { path: process.env.REDIS_SOCKET, maxRetriesPerRequest: null };
const starts = new Redis({ ...redis, db: Number(process.env.STARTS_DB) });

const seconds = () => (performance.timeOrigin + performance.now()) / 1000;

function minuteIn(zone, instant) {
  const parts = new Intl.DateTimeFormat("en-US", { timeZone: zone, minute: "numeric" }).formatToParts(instant);
  return Number(parts.find((part) => part.type === "minute").value);
}

function* askedTasks() {
  const instant = new Date(process.env.BENCH_INSTANT);
  const minutes = ZONES.map((zone) => minuteIn(zone, instant));
  const first = Number(process.env.BENCH_FIRST);
  for (let number = first; number < first + Number(process.env.BENCH_COUNT); number++) {
    const place = number % ZONES.length;
    const note = createHash("md5").update(String(number)).digest("hex").repeat(8);
    const payload = { n: number, region: `eu-${number}`, note };
    yield { number, zone: ZONES[place], cron: `${minutes[place]} * * * *`, payload };
  }
}

function threeSteps(given) {
  const state = { state: "working" };
  Object.assign(state, { region: given.region, twice: given.n * 2 });
  return { ...state, value: state.twice };
}

async function doWork(given, sentAt) {
  const startedAt = seconds();
  threeSteps(given);
  const line = [given.n, sentAt.toFixed(6), startedAt.toFixed(6), seconds().toFixed(6)].join(" ");
  await starts.rpush("bench:starts", line);
}

module.exports = { askedTasks, doWork, redis, starts };
