import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expectSameSettings, openStores } from './citus.mjs';
import { startServer } from './cluster.mjs';
import { api, KEY, load, loadAside, median, memoryOf, openAccounts, spread } from './load.mjs';
import { MODE, startPooler } from './pooler.mjs';

// A trial of the benchmark itself asks for less of each.
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const SECONDS = Number(process.env.BENCH_SECONDS ?? 6);
const ACCOUNTS = Number(process.env.BENCH_ACCOUNTS ?? 10_000);
/** Transactions of the ledger that is moved, in millions. */
const MOVED = Number(process.env.BENCH_MOVED_MILLIONS ?? 10);
const CREDITS = '/v1/customer-credits';

/** The sections of the benchmark; each leaves rows behind. */
export class Suite {
  rows = [];
  sections = {
    throughput: this.throughput,
    idle: this.idle,
    bulk: this.bulk,
    grants: this.grants,
    holds: this.holds,
    sweep: this.sweep,
    webhook: this.webhook,
    pages: this.pages,
    size: this.size,
    pooler: this.pooler,
    move: this.move,
    pglite: this.pglite,
    servers: this.servers,
    citus: this.citus,
  };

  constructor(cluster) {
    this.cluster = cluster;
    this.psql('postgres', ['-c', 'create database tpcb']);
    cluster.pgbench([...cluster.connection, '-i', '-q', '-s', '20', 'tpcb']);
  }

  /** Debits on many accounts and on one, each beside pgbench, in turns. */
  async throughput() {
    await this.withServer(async ({ url, pid }) => {
      const ids = await openAccounts(url, ACCOUNTS);
      const base = [];
      const many = [];
      const one = [];
      load(url, { ids, seconds: SECONDS });
      for (let round = 0; round < ROUNDS; round++) {
        base.push(this.pgbench(16));
        many.push(this.debits(url, ids));
        one.push(this.debits(url, ids.slice(0, 1)));
      }
      this.ratio('debits on 10,000 accounts ÷ pgbench, 16 clients', many, base, 3);
      this.ratio('debits on one account ÷ pgbench, 16 clients', one, base, 3.5);
      const megabytes = memoryOf(pid);
      const met = megabytes <= 250;
      const what = 'server memory under that load (peak)';
      this.add({ what, goal: '≤ 250 MB', value: `${megabytes} MB`, met, detail: 'VmHWM' });
    });
  }

  async idle() {
    await this.withServer(async ({ url }) => {
      const ids = await openAccounts(url, 100);
      const ours = [];
      const theirs = [];
      load(url, { ids, connections: 1, seconds: 3 });
      for (let round = 0; round < ROUNDS; round++) {
        theirs.push(this.pgbenchLatency());
        ours.push(load(url, { ids, connections: 1, seconds: 4 }).p50);
      }
      const ratios = ours.map((value, i) => value / theirs[i]);
      const value = median(ratios);
      this.add({
        what: 'p50 of one debit on an idle server ÷ pgbench, one client',
        goal: '≤ 3',
        value: value.toFixed(2),
        met: value <= 3,
        detail: `${median(ours).toFixed(2)} ms ÷ ${median(theirs).toFixed(2)} ms, spread ${percent(spread(ratios))}`,
      });
    });
  }

  async bulk() {
    await this.withServer(async ({ url }) => {
      const ids = await openAccounts(url, ACCOUNTS);
      const base = [];
      const ours = [];
      const options = { ids, kind: 'bulk', bulk: 500, connections: 8, seconds: SECONDS };
      load(url, options);
      for (let round = 0; round < ROUNDS; round++) {
        base.push(this.pgbench(16));
        ours.push(checked(load(url, options)).rate * 500);
      }
      this.ratio('operations in bulk requests of 500 ÷ pgbench, 16 clients', ours, base, 5);
    });
  }

  async grants() {
    await this.withServer(async ({ url }) => {
      const plain = await openAccounts(url, 1_000);
      const granted = await openAccounts(url, 1_000);
      await addGrants(url, granted, 20);
      this.compare('debits on accounts with 20 open grants ÷ with none', url, granted, plain, 0.5);
    });
  }

  async holds() {
    await this.withServer(async ({ url }) => {
      const ids = await openAccounts(url, ACCOUNTS);
      const debits = [];
      const pairs = [];
      for (let round = 0; round < ROUNDS; round++) {
        debits.push(await closedLoop(128, SECONDS, (n) => debit(url, ids, n)));
        pairs.push(await closedLoop(128, SECONDS, (n) => holdAndCapture(url, ids, n)));
      }
      this.ratio('hold + capture pairs ÷ single debits', pairs, debits, 0.35, 'Node generator');
    });
  }

  /** A hundred thousand grants expire at once in a thousand accounts, while others are debited. */
  async sweep() {
    await this.withServer(async ({ url }) => {
      const ids = await openAccounts(url, ACCOUNTS);
      const granted = await openAccounts(url, 1_000);
      await addGrants(url, granted, 100);
      load(url, { ids, seconds: SECONDS });
      const before = this.debits(url, ids);
      const started = performance.now();
      const moved = api(url, 'POST', '/v1/test/clock', { advance: 101 * 86_400 }).then(
        (answer) => ({
          seconds: (performance.now() - started) / 1000,
          accounts: answer.settled.accounts,
        }),
      );
      // The load blocks this process, so it runs in one of its own beside the request.
      const during = await loadAside(url, { ids, seconds: 4 });
      const { seconds, accounts } = await moved;
      const what = 'debits while 100,000 grants expire in 1,000 accounts ÷ before';
      this.ratio(
        what,
        [during],
        [before],
        0.5,
        `per second; ${accounts} in ${seconds.toFixed(1)} s`,
      );
    });
  }

  async webhook() {
    const allow = { TALLYSTICK_WEBHOOK_ALLOW: '127.0.0.1' };
    const receiver = await startReceiver();
    await this.withServer(async ({ url }) => {
      const ids = await openAccounts(url, ACCOUNTS);
      const without = [];
      const subscribed = [];
      load(url, { ids, seconds: SECONDS });
      for (let round = 0; round < ROUNDS; round++) {
        without.push(this.debits(url, ids));
        const hook = await api(url, 'POST', '/v1/webhooks', { url: receiver.url });
        subscribed.push(this.debits(url, ids));
        await api(url, 'DELETE', `/v1/webhooks/${hook.id}`);
      }
      this.ratio('debits with one webhook endpoint ÷ with none', subscribed, without, 0.8);
    }, allow);
    receiver.close();
  }

  /** Reads in the middle of an account with a million entries. */
  async pages() {
    await this.withServer(async ({ url, database }) => {
      const [id] = await openAccounts(url, 1);
      this.seed(database, 1_000_000, 0);
      const middle = await this.middleOf(database);
      const account = `${CREDITS}/accounts/${id}`;
      const page = `${account}/entries?limit=100&starting_after=${middle.entry}`;
      const balance = `${account}/balance?at=${encodeURIComponent(middle.at)}`;
      for (const [what, path] of [
        ['p50 of an entries page in the middle of a million', page],
        ['p50 of balance?at= in the middle of a million', balance],
      ]) {
        await api(url, 'GET', path);
        const { p50 } = checked(
          load(url, { ids: [path], kind: 'get', connections: 1, seconds: 4 }),
        );
        const met = p50 <= 5;
        this.add({
          what,
          goal: '≤ 5 ms',
          value: `${p50.toFixed(2)} ms`,
          met,
          detail: 'one client',
        });
      }
    });
  }

  /** Debits with no history beside debits with ten million transactions in the tables. */
  async size() {
    const empty = [];
    const full = [];
    let verified;
    await this.withServer(async (small) => {
      verified = await this.withServer(async (large) => {
        const few = await openAccounts(small.url, ACCOUNTS);
        const many = await openAccounts(large.url, ACCOUNTS);
        for (let part = 0; part < 10; part++)
          this.seed(large.database, 1_000_000, part * 1_000_000);
        this.psql(large.database, ['-c', 'vacuum analyze', '-c', 'checkpoint']);
        for (const [url, ids] of [
          [small.url, few],
          [large.url, many],
        ]) {
          load(url, { ids, seconds: SECONDS });
        }
        for (let round = 0; round < ROUNDS; round++) {
          empty.push(this.debits(small.url, few));
          full.push(this.debits(large.url, many));
        }
      });
    });
    this.ratio('debits with ten million transactions ÷ with none', full, empty, 0.8);
    const { seconds, megabytes } = verified;
    const what = 'peak memory of verify over ten million transactions';
    this.add({ what, value: `${megabytes} MB`, detail: `${Math.round(seconds)} s, clean` });
  }

  /** Single debits and bulk requests behind a pooler in transaction mode, beside none. */
  async pooler() {
    const pooler = await startPooler(this.cluster);
    const singles = { behind: [], plain: [] };
    const bulks = { behind: [], plain: [] };
    const bulkRate = (url, ids) =>
      checked(load(url, { ids, kind: 'bulk', bulk: 500, connections: 8, seconds: SECONDS })).rate;
    await this.withServer(async (plain) => {
      const behind = await this.withServer(
        async ({ url }) => {
          const near = await openAccounts(plain.url, ACCOUNTS);
          const far = await openAccounts(url, ACCOUNTS);
          load(plain.url, { ids: near, seconds: SECONDS });
          load(url, { ids: far, seconds: SECONDS });
          for (let round = 0; round < ROUNDS; round++) {
            singles.plain.push(this.debits(plain.url, near));
            singles.behind.push(this.debits(url, far));
            bulks.plain.push(bulkRate(plain.url, near) * 500);
            bulks.behind.push(bulkRate(url, far) * 500);
          }
        },
        { TALLYSTICK_POOLER: MODE },
        pooler.url,
      );
      this.add({
        what: `verify behind ${pooler.version}`,
        value: 'clean',
        detail: `${behind.seconds.toFixed(1)} s`,
      });
    });
    await pooler.stop();
    const what = (of) => `${of} behind ${pooler.version} in ${MODE} mode ÷ without`;
    this.ratio(what('debits on 10,000 accounts'), singles.behind, singles.plain, 0.7);
    this.ratio(what('operations in bulk requests of 500'), bulks.behind, bulks.plain, 0.7);
  }

  /** A ledger goes into a file, and into another database. */
  async move() {
    const folder = mkdtempSync(join(tmpdir(), 'tallystick-move-'));
    const file = join(folder, 'ledger.gz');
    let from;
    await this.withServer(async ({ url, database }) => {
      await openAccounts(url, ACCOUNTS);
      for (let part = 0; part < MOVED; part++) this.seed(database, 1_000_000, part * 1_000_000);
      this.psql(database, ['-c', 'vacuum analyze', '-c', 'checkpoint']);
      from = this.cluster.url(database);
    });
    const database = `moved_${Date.now()}`;
    this.psql('postgres', ['-c', `create database ${database}`]);
    const to = { DATABASE_URL: this.cluster.url(database) };
    const tell = (what, { seconds, megabytes }, detail) => {
      const met = megabytes <= 250;
      const told = `${Math.round(seconds)} s${detail}`;
      this.add({ what, goal: '≤ 250 MB', value: `${megabytes} MB`, met, detail: told });
    };
    const exported = await command(['export', file], { DATABASE_URL: from });
    const size = Math.round(statSync(file).size / 2 ** 20);
    tell(`peak memory of an export of ${MOVED} million transactions`, exported, `, ${size} MiB`);
    const imported = await command(['import', file], to);
    tell('peak memory of its import', imported, ' with the check of the file and verify, clean');
    rmSync(folder, { recursive: true });
  }

  async pglite() {
    const directory = join(mkdtempSync(join(tmpdir(), 'tallystick-pglite-')), 'data');
    const server = await startServer({
      TALLYSTICK_DATA_DIR: directory,
      TALLYSTICK_API_KEY: KEY,
      DATABASE_URL: '',
    });
    try {
      const ids = await openAccounts(server.url, 1_000);
      load(server.url, { ids, seconds: SECONDS });
      const rates = Array.from({ length: 3 }, () => this.debits(server.url, ids));
      const what = 'debits on embedded PGlite, 1,000 accounts, 256 connections';
      const detail = `per second, spread ${percent(spread(rates))}`;
      this.add({ what, value: Math.round(median(rates)), detail });
    } finally {
      await server.stop();
    }
    await verify({ TALLYSTICK_DATA_DIR: directory, DATABASE_URL: '' });
  }

  /** One server, and two on the same machine and database, each with half of the load. */
  async servers() {
    await this.withServer(async (first) => {
      const DATABASE_URL = this.cluster.url(first.database);
      const second = await startServer({ DATABASE_URL, TALLYSTICK_API_KEY: KEY });
      try {
        const ids = await openAccounts(first.url, ACCOUNTS);
        const half = (url, accounts) =>
          loadAside(url, { ids: accounts, seconds: SECONDS, connections: 128 });
        const both = async (accounts) => {
          const rates = await Promise.all(
            [first.url, second.url].map((url) => half(url, accounts)),
          );
          return rates[0] + rates[1];
        };
        await both(ids);
        for (const [what, accounts] of [
          ['10,000 accounts', ids],
          ['one account', ids.slice(0, 1)],
        ]) {
          const one = [];
          const two = [];
          const waits = [];
          for (let round = 0; round < ROUNDS; round++) {
            one.push(this.debits(first.url, accounts));
            const looked = this.waitsDuring(first.database, SECONDS);
            two.push(await both(accounts));
            waits.push(await looked);
          }
          this.ratio(`debits on ${what}, two servers ÷ one`, two, one);
          const detail = 'of the looks at busy connections, ten a second';
          const share = `${Math.round(median(waits) * 100)} %`;
          this.add({ what: `waiting for a row lock, ${what}, two servers`, value: share, detail });
        }
      } finally {
        await second.stop();
      }
    });
  }

  /** @returns the share of busy connections that wait for a lock, over some seconds. */
  async waitsDuring(database, seconds) {
    const sql = `select count(*) filter (where wait_event_type = 'Lock'), count(*)
      from pg_stat_activity where datname = '${database}' and state <> 'idle'
        and pid <> pg_backend_pid()`;
    const client = new pg.Client({ connectionString: this.cluster.url(database) });
    await client.connect();
    const end = performance.now() + seconds * 1000;
    let waiting = 0;
    let busy = 0;
    while (performance.now() < end) {
      const { rows } = await client.query({ text: sql, rowMode: 'array' });
      waiting += Number(rows[0][0]);
      busy += Number(rows[0][1]);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await client.end();
    return busy === 0 ? 0 : waiting / busy;
  }

  /**
   * Debits and bulk on a Citus cluster beside this run's PostgreSQL. CITUS_URL is a database on the
   * coordinator that nothing else is in; the rows of earlier runs may stay.
   */
  async citus() {
    const target = process.env.CITUS_URL;
    if (target === undefined) {
      process.stdout.write('  left out: CITUS_URL names no cluster\n');
      return;
    }
    await expectSameSettings(target, this.cluster.settings);
    await command(['migrate', '--distribute'], { DATABASE_URL: target });
    const spread = await startServer({ DATABASE_URL: target, TALLYSTICK_API_KEY: KEY });
    try {
      await this.withServer(async ({ url, database }) => {
        for (const count of [1, 20]) {
          const plain = await openStores(url, this.cluster.url(database), count, ACCOUNTS);
          const own = await openStores(spread.url, target, count, ACCOUNTS);
          const stores = count === 1 ? 'one store' : `${count} stores`;
          const what = `of ${stores} on Citus ÷ on plain PostgreSQL`;
          this.beside(`debits ${what}`, [spread.url, own], [url, plain], {});
          const bulk = { kind: 'bulk', bulk: 500, connections: 8 };
          this.beside(`bulk requests of 500 ${what}`, [spread.url, own], [url, plain], bulk);
        }
      });
    } finally {
      await spread.stop();
    }
    await verify({ DATABASE_URL: target });
  }

  /** The same load on two servers in turns. */
  beside(what, [ours, ids], [theirs, baseIds], options) {
    const run = (url, own) => load(url, { ids: own, seconds: SECONDS, ...options });
    const rate = (url, own) => checked(run(url, own)).rate;
    run(theirs, baseIds);
    run(ours, ids);
    const base = [];
    const found = [];
    for (let round = 0; round < ROUNDS; round++) {
      base.push(rate(theirs, baseIds));
      found.push(rate(ours, ids));
    }
    this.ratio(what, found, base);
  }

  compare(what, url, ids, baseline, goal) {
    const ours = [];
    const base = [];
    load(url, { ids, seconds: SECONDS });
    for (let round = 0; round < ROUNDS; round++) {
      base.push(this.debits(url, baseline));
      ours.push(this.debits(url, ids));
    }
    this.ratio(what, ours, base, goal);
  }

  /**
   * Runs work on a server over a fresh database, reached by `urlOf`, and verifies the ledger afterwards.
   *
   * @returns what verifying took.
   */
  async withServer(work, environment = {}, urlOf = this.cluster.url) {
    const database = `ledger_${this.rows.length}_${Date.now()}`;
    this.psql('postgres', ['-c', `create database ${database}`]);
    const DATABASE_URL = urlOf(database);
    const server = await startServer({ DATABASE_URL, TALLYSTICK_API_KEY: KEY, ...environment });
    try {
      await work({ ...server, database });
    } finally {
      await server.stop();
    }
    return verify({ DATABASE_URL });
  }

  debits(url, ids) {
    return checked(load(url, { ids, seconds: SECONDS })).rate;
  }

  pgbench(clients) {
    const output = this.runPgbench(clients, SECONDS);
    return Number(/tps = ([\d.]+)/.exec(output)[1]);
  }

  pgbenchLatency() {
    return Number(/latency average = ([\d.]+) ms/.exec(this.runPgbench(1, 4))[1]);
  }

  runPgbench(clients, seconds) {
    const { pgbench, connection } = this.cluster;
    const args = ['-n', '-M', 'prepared', '-c', String(clients), '-j', clients > 1 ? '2' : '1'];
    return pgbench([...connection, ...args, '-T', String(seconds), 'tpcb']);
  }

  seed(database, count, first) {
    const script = new URL('./seed.sql', import.meta.url).pathname;
    this.psql(database, [
      '-v',
      `count=${count}`,
      '-v',
      `first=${first}`,
      '-v',
      'who=%',
      '-f',
      script,
    ]);
  }

  async middleOf(database) {
    const sql = `select transaction_id, created_at::text from tallystick.entries
      where seq = 500000`;
    const [uuid, at] = this.psql(database, ['-Atc', sql]).trim().split('|');
    const { formatEntryId, formatId } = await import('../dist/core/id.js');
    const entry = formatEntryId(formatId('transaction', uuid), 0);
    return { entry, at: new Date(at).toISOString() };
  }

  psql(database, args) {
    const options = [...this.cluster.connection, '-q', '-v', 'ON_ERROR_STOP=1', '-d', database];
    return execFileSync('psql', [...options, ...args], { encoding: 'utf8' });
  }

  /** The median of the ratios of neighbouring runs, with their spread; some have no goal. */
  ratio(what, ours, base, goal, note = 'per second') {
    const ratios = ours.map((value, i) => value / base[i]);
    const value = median(ratios);
    this.add({
      what,
      ...(goal === undefined ? {} : { goal: `≥ ${goal}`, met: value >= goal }),
      value: value.toFixed(2),
      detail: `${Math.round(median(ours))} ÷ ${Math.round(median(base))} ${note}, spread ${percent(spread(ratios))}`,
    });
  }

  add(row) {
    this.rows.push(row);
    process.stdout.write(`  ${row.what}: ${row.value} (${row.detail})\n`);
  }
}

function percent(value) {
  return `${Math.round(value * 100)} %`;
}

/** Only successes count: a fast refusal is no result. */
function checked(result) {
  if (result.failed > 0) throw new Error(`${result.failed} requests failed.`);
  return result;
}

function verify(environment) {
  return command(['verify'], environment);
}

/** @returns how long it took, and the most memory that it had. */
async function command(values, environment) {
  const script = new URL('../dist/cli/main.js', import.meta.url).pathname;
  const started = performance.now();
  const child = spawn(process.execPath, [script, ...values], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  let megabytes = 0;
  const look = setInterval(() => {
    megabytes = Math.max(megabytes, memoryOf(child.pid));
  }, 100);
  const code = await new Promise((resolve) => child.on('exit', resolve));
  clearInterval(look);
  if (code !== 0) throw new Error(`${values[0]} ended with ${code}.`);
  return { seconds: (performance.now() - started) / 1000, megabytes };
}

async function addGrants(url, ids, count) {
  for (let number = 0; number < count; number++) {
    for (let start = 0; start < ids.length; start += 500) {
      const operations = ids.slice(start, start + 500).map((id) => ({
        op: 'credit',
        account_id: id,
        amount: '1000000000',
        reference: 'grant',
        idempotency_key: `grant_${id}_${number}`,
        expires_at: new Date(Date.now() + (number + 1) * 86_400_000).toISOString(),
      }));
      await api(url, 'POST', `${CREDITS}/batch`, { operations });
    }
  }
}

/** Runs work with so many callers at once for some seconds; counts what was done a second. */
async function closedLoop(callers, seconds, work) {
  const started = performance.now();
  const end = started + seconds * 1000;
  let done = 0;
  const caller = async () => {
    while (performance.now() < end) {
      await work(`${started}_${done}_${Math.random()}`);
      done++;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return done / seconds;
}

function debit(url, ids, key) {
  const id = ids[Math.floor(Math.random() * ids.length)];
  const body = { amount: '1', reference: 'call', idempotency_key: key };
  return api(url, 'POST', `${CREDITS}/accounts/${id}/debit`, body);
}

async function holdAndCapture(url, ids, key) {
  const id = ids[Math.floor(Math.random() * ids.length)];
  const body = { amount: '2', reference: 'call', idempotency_key: key };
  const hold = await api(url, 'POST', `${CREDITS}/accounts/${id}/holds`, body);
  const capture = { amount: '1', idempotency_key: key };
  await api(url, 'POST', `${CREDITS}/holds/${hold.id}/capture`, capture);
}

/** A receiver in a process of its own, as a user's would be. */
async function startReceiver() {
  const source = `require('node:http').createServer((request, response) => {
    request.resume().on('end', () => response.end('ok'));
  }).listen(0, '127.0.0.1', function () { console.log(this.address().port); })`;
  const child = spawn(process.execPath, ['-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await new Promise((resolve) =>
    child.stdout.once('data', (text) => resolve(Number(text))),
  );
  return { url: `http://127.0.0.1:${port}/`, close: () => child.kill() };
}
