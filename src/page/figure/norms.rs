//! The size of a perturbation in four norms.

use leptos::prelude::*;

use super::format;
use crate::data::PIXELS;
use crate::threat::{Norm, Norms};

/// ‖δ‖ in L0, L1, L2 and L∞ as a small table; the norm that limits the attack stands out.
#[component]
pub fn NormTable(
    /// The norms; nothing yet leaves dashes.
    #[prop(into)]
    norms: Signal<Option<Norms>>,
    /// The norm that counts; none if no norm measures the change.
    #[prop(into)]
    limited: Signal<Option<Norm>>,
    /// What is said of its limit: "at most ε = 0.1".
    #[prop(into)]
    limit: Signal<String>,
) -> impl IntoView {
    let row = move |name: &'static str, meaning: &'static str, norm: Option<Norm>, value: fn(&Norms) -> String| {
        let is_limited = move || norm.is_some() && norm == limited.get();
        view! {
            <tr class:limited=is_limited>
                <th scope="row">{name}</th>
                <td class="figure-value">{move || norms.get().as_ref().map_or("–".into(), value)}</td>
                <td class="meaning">
                    {meaning} {move || is_limited().then(|| format!(", {}", limit.get()))}
                </td>
            </tr>
        }
        .into_any()
    };
    view! {
        <table class="norms">
            <caption>"Size of the perturbation ‖δ‖"</caption>
            <tbody>
                {row("L0", "pixels changed", None, |n| format!("{} of {PIXELS}", n.l0))}
                {row("L1", "sum of changes", Some(Norm::L1), |n| format::number(n.l1, 4))}
                {row("L2", "Euclidean length", Some(Norm::L2), |n| format::number(n.l2, 4))}
                {row("L∞", "greatest change", Some(Norm::Linf), |n| format::number(n.linf, 3))}
            </tbody>
        </table>
    }
    .into_any()
}
