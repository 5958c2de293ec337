//! The graded cut: the share that it admits, and that the same job gets the same answer.

use backpressure::{AnyPolicy, Config, KindName, Nanos, Policy, Priority, Reason, Request, State};

/// The place of a job on the line of ranks, worked out from the description: 1,024 parts to a class, within the class the
/// upper ten bits of SplitMix64's finaliser of the id plus 2^64 over the golden ratio.
pub(crate) fn rank(request: &Request) -> u64 {
    let mut z = request.id.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    1024 * (u64::from(request.priority.get()) - 1) + (z >> 54)
}

#[test]
fn cut_moves_from_everybody_at_recovery_to_priority_one_at_critical() {
    #[track_caller]
    fn check(depth: u64, parts: u16) {
        let mut policy = graded();
        policy.observe(depth, Nanos(0));
        assert_eq!(policy.gate().cut_at(Nanos(0)).parts(), parts);
    }
    check(0, 10_240);
    check(5_000, 10_240);
    check(5_004, 10_240);
    check(5_005, 10_239); // 9,216 steps over 45,000 jobs: one each 4.88
    check(27_500, 10_240 - 4_608); // half-way: 5.5 classes
    check(49_999, 1_025);
    check(50_000, 1_024);
    check(u64::MAX, 1_024);
    assert_eq!(graded().config().sheds_at(), 5_005);
}

/// At each depth the share of admitted jobs of each class is that of the formula cut = 10 - 9 x, within the interval of a
/// binomial share: 100 comparisons at a family-wise error of 1%, so 99.99% each, which is 3.89 standard deviations.
#[test]
fn admitted_share_is_what_the_rule_says() {
    const JOBS: u64 = 40_000;
    for depth in (5_000..=50_000).step_by(5_000) {
        let mut policy = graded();
        policy.observe(depth, Nanos(0));
        let cut = 10.0 - 9.0 * (depth - 5_000) as f64 / 45_000.0;
        for priority in Priority::ALL {
            let ids = (0..JOBS).map(|job| job * 7_919 + depth);
            let admitted = ids.filter(|&id| admits(&mut policy, priority, id)).count() as f64;
            let share = (cut - f64::from(priority.get()) + 1.0).clamp(0.0, 1.0);
            // The cut is counted in 1,024 parts of a class.
            let margin = 3.89 * (share * (1.0 - share) / JOBS as f64).sqrt() + 1.0 / 1_024.0;
            let found = admitted / JOBS as f64;
            assert!((found - share).abs() <= margin, "{depth} jobs, {priority}: {found}, not {share}");
        }
    }
}

/// A job gets the same answer at the same depth from every instance, and a smaller depth never turns it away.
#[test]
fn same_id_same_answer_and_less_depth_no_worse() {
    let mut instances = [graded(), graded()];
    instances[1].observe(60_000, Nanos(0));
    for id in 0..500 {
        let mut was_admitted = true;
        for depth in (4_000..=52_000).step_by(400) {
            let answers = instances.each_mut().map(|policy| {
                policy.observe(depth, Nanos(1));
                admits(policy, Priority::DEFAULT, id)
            });
            assert_eq!(answers[0], answers[1]);
            assert!(
                was_admitted || !answers[0],
                "job {id} is admitted at {depth} but not at a smaller depth"
            );
            was_admitted = answers[0];
        }
    }
}

/// Under a sustained overload the depth settles between recovery and critical, and no circuit opens: jobs of all ten
/// priorities alike, three offered for two served.
#[test]
fn a_sustained_overload_does_not_cycle() {
    let mut policy = graded();
    let (mut depth, mut lowest, mut highest) = (0_u64, u64::MAX, 0);
    for job in 0..600_000_u64 {
        policy.observe(depth, Nanos(job));
        let priority = Priority::ALL[job as usize % 10];
        depth += u64::from(admits(&mut policy, priority, job));
        if job % 3 != 0 {
            depth = depth.saturating_sub(1);
        }
        if job > 400_000 {
            (lowest, highest) = (lowest.min(depth), highest.max(depth));
        }
    }
    assert_eq!(policy.snapshot().since_start.openings, 0);
    assert_eq!(policy.state(), State::Closed);
    // Two thirds of ten classes are admitted where the cut is 6.67, at 5,000 + 45,000 x 3.33 / 9 = 21,667 jobs.
    assert!(lowest > 21_167 && highest < 22_167, "{lowest} to {highest}");
}

#[test]
fn rejections_name_the_cut() {
    let mut policy = graded();
    policy.observe(50_000, Nanos(0));
    assert_eq!(policy.state(), State::Open);
    let rejection = policy.decide(Priority::DEFAULT, Nanos(0)).rejection().unwrap();
    assert_eq!(rejection.reason, Reason::PriorityCut);
    assert!(policy.decide(Priority::MOST_URGENT, Nanos(0)).is_admit());
}

fn graded() -> AnyPolicy {
    AnyPolicy::new(Config::builder().kind(KindName::Graded).build().unwrap(), Nanos(0))
}

fn admits(policy: &mut AnyPolicy, priority: Priority, id: u64) -> bool {
    policy.decide(Request::of(priority).with_id(id), Nanos(1)).is_admit()
}
