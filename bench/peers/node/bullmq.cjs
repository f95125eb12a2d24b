// BullMQ job schedulers: `register` adds them, `run` is the process that both promotes and works.
const { Queue, Worker } = require("bullmq");
const { askedTasks, doWork, redis, starts } = require("./work.cjs");

async function register() {
  const queue = new Queue("bench", { connection: redis });
  const defaults = { removeOnComplete: true };
  for (const task of askedTasks()) {
    const repeat = { pattern: task.cron, tz: task.zone };
    await queue.upsertJobScheduler(`task-${task.number}`, repeat, { name: "work", data: task.payload, opts: defaults });
  }
  await queue.close();
  await starts.quit();
}

function run() {
  // The next job lies in Redis before its time, so no moment of sending can be told from the start.
  const concurrency = Number(process.env.BENCH_CONCURRENCY);
  new Worker("bench", async (job) => doWork(job.data, 0), { connection: redis, concurrency });
}

process.argv[2] === "register" ? register() : run();
