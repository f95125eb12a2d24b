// pg-boss with its intervals at a second: `register` makes the schedules, `run` is both scheduler and worker.
const { PgBoss } = require("pg-boss");
const { askedTasks, doWork, starts } = require("./work.cjs");

const connection = { host: process.env.PGHOST, user: process.env.PGUSER, database: process.env.PGDATABASE };

async function register() {
  const boss = new PgBoss({ ...connection, schedule: false, supervise: false });
  boss.on("error", console.error);
  await boss.start();
  await boss.createQueue("bench");
  for (const task of askedTasks()) {
    await boss.schedule("bench", task.cron, task.payload, { tz: task.zone, key: `task-${task.number}` });
  }
  await boss.stop();
  await starts.quit();
}

async function run() {
  const boss = new PgBoss({ ...connection, clockMonitorIntervalSeconds: 1, cronMonitorIntervalSeconds: 1, cronWorkerIntervalSeconds: 1 });
  boss.on("error", console.error);
  await boss.start();
  const options = { batchSize: 100, pollingIntervalSeconds: 0.5, includeMetadata: true };
  await boss.work("bench", options, async (jobs) => {
    for (const job of jobs) await doWork(job.data, new Date(job.createdOn).getTime() / 1000);
  });
}

process.argv[2] === "register" ? register() : run();
