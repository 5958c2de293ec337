//! x
use crate::plan::Plan;
pub fn render(plans: &[Plan], _width: usize, _colour: bool) -> String {
    let mut text = String::new();
    for plan in plans {
        text += &format!("{:#?}\n", plan.path);
        if let Some(choice) = &plan.choice {
            text += &format!(
                "{:?} {:?} {:?} {:?} {:?} queues {}\n{:#?}",
                choice.id,
                choice.overrides,
                choice.cost,
                choice.guarantee,
                choice.undecided,
                choice.queues,
                choice.what_if
            );
        }
        for spec in &plan.spec {
            text += &format!("{} {:?} cost {}\n", spec.name, spec.summary.verdict, spec.cost);
        }
    }
    text
}
