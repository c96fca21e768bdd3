//! Replicas that pause, crash and lose answers, over one store and one clock: whatever happens, no share has two at a time, and
//! once they are left alone each has one soon.

use super::super::*;

/// As `cluster::lease` has them, in quarters of a second; in each of them is looked at the others once.
const DURATION: u64 = 4 * SECOND;
const GIVE_UP: u64 = 3 * SECOND;
const PERIOD: u64 = SECOND;
const SECOND: u64 = 4;
const SHARES: usize = 40;

/// Numbers that look like chance and are the same each time.
struct Chance(u64);

impl Chance {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(self.0) % below
    }
}

/// A Lease: who holds it, in which term, when it was beaten last, and what is claimed.
#[derive(Debug, Clone, Default)]
struct Record {
    holder: Option<u64>,
    term: i64,
    beat: u64,
    view: View,
}

/// A renewal on its way, and whether the store has answered it.
#[derive(Debug, Clone)]
struct Renewal {
    begun: u64,
    view: View,
    answer: Option<bool>,
}

#[derive(Debug, Clone)]
struct Seat {
    /// Who it is: one that begins anew is another.
    id: u64,
    member: Member,
    standing: Standing,
    published: View,
    next: View,
    /// When the last renewal that was answered was begun.
    renewed: u64,
    renewal: Option<Renewal>,
    /// When it has looked at the others last.
    looked: u64,
}

#[derive(Debug, Clone, Default)]
struct Process {
    seat: Option<Seat>,
    running: BTreeSet<usize>,
    /// What it saw of each place, and since when it has looked like that.
    seen: BTreeMap<u16, (i64, u64, u64)>,
    paused_until: u64,
}

struct World {
    now: u64,
    ids: u64,
    chance: Chance,
    store: BTreeMap<u16, Record>,
    processes: Vec<Process>,
    shares: Vec<String>,
}

impl World {
    fn new(seed: u64, processes: usize) -> Self {
        Self {
            now: 100,
            ids: 0,
            chance: Chance(seed << 32),
            store: BTreeMap::new(),
            processes: vec![Process::default(); processes],
            shares: super::names(SHARES),
        }
    }

    /// Whether a write of this process would be let through now: it looks at its own clock before each.
    fn writes(&self, who: usize) -> bool {
        let seat = self.processes[who].seat.as_ref();
        seat.is_some_and(|seat| self.now < seat.renewed + GIVE_UP)
    }

    fn check(&self, seed: u64) {
        for share in 0..SHARES {
            let active =
                |who: &usize| self.writes(*who) && self.processes[*who].running.contains(&share);
            let all: Vec<usize> = (0..self.processes.len()).filter(active).collect();
            assert!(
                all.len() < 2,
                "seed {seed}, quarter {}: {all:?} work for share {share}",
                self.now
            );
        }
    }

    /// The store takes what is on its way, whoever sleeps meanwhile.
    fn deliver(&mut self, who: usize) {
        let Some(seat) = &mut self.processes[who].seat else {
            return;
        };
        let Some(renewal) = seat.renewal.as_mut().filter(|it| it.answer.is_none()) else {
            return;
        };
        let record = self.store.entry(seat.member.place).or_default();
        let ours = record.holder == Some(seat.id) && record.term == seat.member.term;
        if ours {
            record.beat += 1;
            record.view.clone_from(&renewal.view);
        }
        renewal.answer = Some(ours);
    }

    /// One step of one process.
    fn act(&mut self, who: usize) {
        match self.processes[who].seat.is_some() {
            false => self.take_a_place(who),
            true => self.keep_it(who),
        }
    }

    /// Looks at all places; one that nobody has beaten for as long as it lasts is ended.
    fn look(&mut self, who: usize) -> Vec<(u16, Record)> {
        let now = self.now;
        let process = &mut self.processes[who];
        let own = process.seat.as_ref().map(|seat| seat.id);
        let seen = &mut process.seen;
        for (place, record) in &mut self.store {
            let mark = (record.term, record.beat);
            let known = seen.entry(*place).or_insert((mark.0, mark.1, now));
            if (known.0, known.1) != mark {
                *known = (mark.0, mark.1, now);
            }
            if record.holder.is_some() && record.holder != own && now - known.2 >= DURATION {
                record.holder = None;
                record.term += 1;
                record.view.clear();
            }
        }
        self.store.clone().into_iter().collect()
    }

    fn take_a_place(&mut self, who: usize) {
        let held: BTreeSet<u16> = self
            .look(who)
            .into_iter()
            .filter(|(_, record)| record.holder.is_some())
            .map(|(place, _)| place)
            .collect();
        let Some(place) = (0..PLACES).find(|place| !held.contains(place)) else {
            return;
        };
        let now = self.now;
        self.ids += 1;
        let id = self.ids;
        let record = self.store.entry(place).or_default();
        record.holder = Some(id);
        record.term += 1;
        record.beat += 1;
        record.view.clear();
        let member = Member {
            place,
            term: record.term,
        };
        self.processes[who].seat = Some(Seat {
            id,
            member,
            standing: Standing::new(place),
            published: View::new(),
            next: View::new(),
            renewed: now,
            renewal: None,
            looked: now,
        });
    }

    fn keep_it(&mut self, who: usize) {
        let now = self.now;
        let Some(seat) = self.processes[who].seat.as_mut() else {
            return;
        };
        let late = now >= seat.renewed + GIVE_UP;
        let answered = seat.renewal.as_ref().map(|renewal| renewal.answer);
        if late || answered == Some(Some(false)) {
            return self.lose(who);
        }
        match answered {
            None if now >= seat.renewed + PERIOD || seat.next != seat.published => {
                seat.renewal = Some(Renewal {
                    begun: now,
                    view: seat.next.clone(),
                    answer: None,
                });
            }
            // Also while nobody knows what became of a renewal.
            None | Some(None) if now > seat.looked => self.judge(who),
            None | Some(None) => {}
            Some(Some(_)) => {
                if let Some(renewal) = seat.renewal.take() {
                    seat.renewed = renewal.begun;
                    seat.published = renewal.view;
                }
                self.judge(who);
            }
        }
        self.work(who);
    }

    /// What it makes of the others after its claim was published.
    fn judge(&mut self, who: usize) {
        let all = self.look(who);
        let Some(seat) = self.processes[who].seat.as_mut() else {
            return;
        };
        let others: Vec<Other> = all
            .into_iter()
            .filter(|(place, record)| record.holder.is_some() && *place != seat.member.place)
            .map(|(place, record)| Other {
                member: Member {
                    place,
                    term: record.term,
                },
                claim: Claim {
                    view: record.view,
                    tenants: 0,
                },
            })
            .collect();
        seat.looked = self.now;
        let published = seat.published.clone();
        seat.standing.saw(&published, &others, true);
    }

    /// Begins what it may, ends some of what runs, and publishes what it has let go of.
    fn work(&mut self, who: usize) {
        let writes = self.writes(who);
        let process = &mut self.processes[who];
        let Some(seat) = process.seat.as_mut() else {
            return;
        };
        for (nth, share) in self.shares.iter().enumerate() {
            if self.chance.next(4) == 0 {
                process.running.remove(&nth);
            }
            if writes && seat.standing.may_begin(share) && self.chance.next(2) == 0 {
                process.running.insert(nth);
            }
        }
        if let Some(view) = seat.standing.to_publish().cloned() {
            let survives = |nth: &usize| seat.standing.survives(&view, &self.shares[*nth]);
            if process.running.iter().all(survives) {
                seat.standing.sending(view.clone());
                seat.next = view;
            }
        }
    }

    fn lose(&mut self, who: usize) {
        let process = &mut self.processes[who];
        process.seat = None;
        process.running.clear();
    }

    /// A quarter of a second of the world, in which what goes wrong goes wrong.
    fn quarter(&mut self, troubled: bool) {
        self.now += 1;
        let count = self.processes.len() as u64;
        for _ in 0..3 * count {
            let who = self.chance.next(count) as usize;
            if troubled {
                match self.chance.next(400) {
                    0 => self.lose(who),
                    1 | 2 => {
                        self.processes[who].paused_until =
                            self.now + self.chance.next(3 * DURATION);
                    }
                    _ => {}
                }
            }
            // An answer may take its time.
            if !troubled || self.chance.next(3) != 0 {
                self.deliver(who);
            }
            if self.processes[who].paused_until <= self.now {
                self.act(who);
            }
        }
    }
}

impl World {
    /// A quarter of a second in which everybody who is there is quick.
    fn calm(&mut self) {
        self.now += 1;
        for _ in 0..3 {
            for who in 0..self.processes.len() {
                if self.processes[who].paused_until <= self.now {
                    self.deliver(who);
                    self.act(who);
                }
            }
        }
    }

    /// Whether each share has one who may begin with it.
    fn all_have_one(&self) -> bool {
        let seats = || self.processes.iter().filter_map(|one| one.seat.as_ref());
        let begins = |share: &String| {
            seats()
                .filter(|seat| seat.standing.may_begin(share))
                .count()
        };
        self.shares.iter().all(|share| begins(share) == 1)
    }
}

#[test]
fn what_a_killed_one_had_goes_on_elsewhere_within_five_seconds() {
    for seed in 0..60 {
        let mut world = World::new(seed, 2 + (seed % 5) as usize);
        // At any moment between two renewals.
        for _ in 0..(10 * PERIOD + seed % PERIOD) {
            world.calm();
        }
        assert!(world.all_have_one(), "seed {seed}: it has not begun");
        world.lose(0);
        world.processes[0].paused_until = u64::MAX;
        let mut took = 0;
        while !world.all_have_one() {
            world.calm();
            world.check(seed);
            took += 1;
            assert!(took < 5 * SECOND, "seed {seed}: {took} quarters");
        }
        assert!(took >= GIVE_UP, "seed {seed}: {took}: it was not even dead");
    }
}

#[test]
fn whatever_pauses_or_crashes_no_share_ever_has_two_owners_and_left_alone_each_has_one_soon() {
    let mut begun = 0_usize;
    for seed in 0..30 {
        let mut world = World::new(seed, 2 + (seed % 5) as usize);
        for _ in 0..400 {
            world.quarter(true);
            world.check(seed);
            begun += world
                .processes
                .iter()
                .map(|one| one.running.len())
                .sum::<usize>();
        }
        // The longest pause, a Lease that runs out, and a few rounds.
        for _ in 0..(4 * DURATION + 10 * PERIOD) {
            world.quarter(false);
            world.check(seed);
        }
        for share in &world.shares {
            let seats = world.processes.iter().filter_map(|one| one.seat.as_ref());
            let owners = seats.filter(|seat| seat.standing.may_begin(share)).count();
            assert_eq!(owners, 1, "seed {seed}: {share}");
        }
    }
    assert!(begun > 10_000, "{begun}: the model does nothing");
}

#[test]
fn the_model_would_notice_one_who_does_not_look_at_his_clock() {
    let found = (0..60).any(|seed| {
        let mut world = World::new(seed, 4);
        (0..400).any(|_| {
            world.quarter(true);
            let holds = |share: usize| {
                let all = world.processes.iter();
                all.filter(|one| one.running.contains(&share)).count()
            };
            (0..SHARES).any(|share| holds(share) > 1)
        })
    });
    assert!(found, "pauses are not long enough to matter");
}
