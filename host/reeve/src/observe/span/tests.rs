//! What is told of runs, and that nothing waits for who is told.

use reeve_api::name::NamespacedName;
use tokio::sync::mpsc;

use super::*;

fn tracer(ratio: f64) -> (Tracer, mpsc::Receiver<Step>) {
    let (outbox, told) = Outbox::new(&Metrics::new());
    let live = Live {
        outbox,
        ratio,
        moment: (Instant::now(), Duration::from_secs(1_000)),
        woken: Mutex::default(),
    };
    (Tracer(Some(Arc::new(live))), told)
}

fn source() -> Target {
    Target::Source(NamespacedName::new("acme", "web").unwrap())
}

fn applied() -> Target {
    Target::Kustomization(NamespacedName::new("acme", "web").unwrap())
}

fn all(told: &mut mpsc::Receiver<Step>) -> Vec<Step> {
    std::iter::from_fn(|| told.try_recv().ok()).collect()
}

fn nothing() -> Vec<Attribute> {
    Vec::new()
}

#[tokio::test]
async fn what_a_call_wakes_and_what_that_wakes_is_one_trace() {
    let (tracer, mut told) = tracer(1.0);
    let call = tracer.begin().unwrap();
    call.wakes(&source());
    call.called("hook", Duration::from_millis(2), nothing());
    let fetches = async {
        took("fetch", Duration::from_millis(3), nothing);
        wakes(&applied());
        came_to(Some("main@sha1:1"), None);
    };
    within(tracer.run(&source(), nothing()), fetches).await;
    let applies = async {
        inside("plugin", Duration::from_millis(1), false, nothing);
        stage("transform", Duration::from_millis(2));
        came_to(None, Some("BuildFailed"));
    };
    within(tracer.run(&applied(), nothing()), applies).await;

    let steps = all(&mut told);
    let names: Vec<_> = steps.iter().map(|step| step.name).collect();
    assert_eq!(
        names,
        [
            "hook",
            "wake",
            "fetch",
            "reconcile",
            "wake",
            "plugin",
            "transform",
            "reconcile"
        ]
    );
    assert!(steps.iter().all(|step| step.at.trace == steps[0].at.trace));
    let parent = |at: usize| {
        let of = |step: &Step| Some(step.at.step) == steps[at].parent;
        steps.iter().position(of)
    };
    let parents: Vec<_> = (0..steps.len()).map(parent).collect();
    assert_eq!(
        parents,
        [
            None,
            Some(0),
            Some(3),
            Some(1),
            Some(3),
            Some(6),
            Some(7),
            Some(4)
        ]
    );
    assert_eq!(
        steps[3].attributes,
        [("revision", "main@sha1:1".to_owned())]
    );
    assert_eq!(steps[7].failed.as_deref(), Some("BuildFailed"));
}

#[tokio::test]
async fn a_run_that_nobody_woke_begins_a_trace_and_one_that_is_cut_off_is_told() {
    let (tracer, mut told) = tracer(1.0);
    let endless = within(
        tracer.run(&source(), nothing()),
        std::future::pending::<()>(),
    );
    let cut_off = tokio::time::timeout(Duration::from_millis(1), endless).await;
    assert!(cut_off.is_err());
    let steps = all(&mut told);
    assert_eq!(steps.len(), 1);
    assert_eq!((steps[0].name, steps[0].parent), ("reconcile", None));
    assert!(steps[0].begun <= steps[0].ended);
}

#[tokio::test]
async fn what_is_not_sampled_is_told_nowhere_further_down_either() {
    let (tracer, mut told) = tracer(0.0);
    let call = tracer.begin().unwrap();
    call.wakes(&source());
    call.called("hook", Duration::ZERO, nothing());
    let run = tracer.run(&source(), nothing()).unwrap();
    assert!(!run.own.sampled);
    within(Some(run), async { wakes(&applied()) }).await;
    let run = tracer.run(&applied(), nothing()).unwrap();
    assert_eq!(run.own.trace, call.at.trace);
    drop(run);
    assert!(all(&mut told).is_empty());
}

#[tokio::test]
async fn nothing_is_told_while_nobody_asked() {
    let tracer = Tracer::default();
    assert!(tracer.begin().is_none() && tracer.run(&source(), nothing()).is_none());
    within(None, async {
        took("fetch", Duration::ZERO, || unreachable!("nobody asked"));
        assert!(branch().is_none());
        wakes(&source());
    })
    .await;
}

#[test]
fn who_is_full_is_told_no_more_and_nobody_waits() {
    let (tracer, mut told) = tracer(1.0);
    for _ in 0..10_000 {
        let call = tracer.begin().unwrap();
        call.called("hook", Duration::ZERO, nothing());
    }
    let room = all(&mut told).len();
    assert!((1_000..10_000).contains(&room), "{room}");
}

#[test]
fn the_first_who_woke_a_run_is_whose_trace_it_is_in() {
    let (tracer, _told) = tracer(1.0);
    let [first, second] = [tracer.begin().unwrap(), tracer.begin().unwrap()];
    first.wakes(&source());
    second.wakes(&source());
    let run = tracer.run(&source(), nothing()).unwrap();
    assert_eq!(run.own.trace, first.at.trace);
    // It was woken once: the next run is nobody's.
    let run = tracer.run(&source(), nothing()).unwrap();
    assert!(run.parent.is_none());
}

#[test]
fn what_another_replica_works_for_goes_on_there_with_the_trace_of_the_call() {
    let ((called, _unheard), (works, mut told)) = (tracer(1.0), tracer(1.0));
    let call = called.begin().unwrap();
    assert_eq!(called.hand_on(&source()), None, "nothing was left for it");
    call.wakes(&source());
    let header = called.hand_on(&source()).unwrap();
    assert_eq!(called.hand_on(&source()), None, "it is left to the other");
    works.take_up(&source(), &header);
    drop(works.run(&source(), nothing()).unwrap());
    let steps = all(&mut told);
    assert!(steps.iter().all(|step| step.at.trace == call.at.trace));
    assert_eq!(steps[0].parent, Some(call.at.step));

    // One that tells of no trace, or is nobody's `traceparent`, changes nothing.
    let (quiet, mut told) = tracer(0.0);
    quiet.take_up(&source(), &header);
    drop(quiet.run(&source(), nothing()).unwrap());
    assert!(all(&mut told).is_empty(), "its flags were believed");
    let (zeros, other) = ("0".repeat(32), &header[3..35]);
    for wrong in [
        String::new(),
        header.to_uppercase(),
        format!("{header}-00"),
        header.replace(other, &zeros),
        format!("01{}", &header[2..]),
        format!("00-{other}-é{}-01", "0".repeat(14)),
    ] {
        works.take_up(&source(), &wrong);
        let run = works.run(&source(), nothing()).unwrap();
        assert!(run.parent.is_none(), "{wrong}");
    }
}

#[test]
fn a_part_of_all_traces_is_told_of_as_their_numbers_say() {
    let (tracer, _told) = tracer(0.25);
    let calls = (0..4_000).map(|_| tracer.begin().unwrap());
    let sampled = calls.filter(|call| call.at.sampled).count();
    assert!((800..1_200).contains(&sampled), "{sampled}");
}

#[test]
fn a_step_looks_as_the_protocol_has_it() {
    let step = Step {
        name: "fetch",
        sort: Sort::Internal,
        at: Place {
            trace: 0xabc,
            step: 0x12,
            sampled: true,
        },
        parent: Some(0x11),
        begun: 1_700_000_000_000_000_001,
        ended: 1_700_000_000_000_000_002,
        attributes: vec![("revision", "x".repeat(1_000))],
        failed: Some("GitOperationFailed".to_owned()),
    };
    let process = [("service.name", "reeve".to_owned())];
    let request = otlp::request(&process, &[step]);
    let span = request
        .pointer("/resourceSpans/0/scopeSpans/0/spans/0")
        .unwrap();
    let of = |pointer: &str| span.pointer(pointer).and_then(|it| it.as_str());
    assert_eq!(of("/traceId"), Some("00000000000000000000000000000abc"));
    assert_eq!(of("/spanId"), Some("0000000000000012"));
    assert_eq!(of("/parentSpanId"), Some("0000000000000011"));
    assert_eq!(of("/startTimeUnixNano"), Some("1700000000000000001"));
    assert_eq!(of("/status/message"), Some("GitOperationFailed"));
    let value = of("/attributes/0/value/stringValue").unwrap();
    assert_eq!(value.len(), 256);
    let service = "/resourceSpans/0/resource/attributes/0/value/stringValue";
    assert_eq!(request.pointer(service).unwrap(), "reeve");
}
