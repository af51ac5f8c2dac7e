//! An experiment as a PyTorch program.

use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Experiment;
use crate::attack::Method;
use crate::nn::zoo::ModelCard;
use crate::nn::{Layer, Shape};
use crate::threat::Norm;

/// A Python program that repeats the experiment with PyTorch and the model's exported weights.
///
/// `pixels` is the picture, 784 grey values from 0 to 255, and `label` the class that the attack counts as true. The
/// program needs `torch`, `safetensors` and the file of weights beside it. Random starts are PyTorch's own draws: with
/// one, the result is as strong on average but not the same.
pub fn pytorch(experiment: &Experiment, card: &ModelCard, pixels: &[u8], label: u8) -> String {
    let classes = experiment.dataset.classes();
    let attack = &experiment.attack;
    let epsilon = experiment.threat.epsilon;
    let mut code = String::new();
    let mut line = |text: &str| {
        code.push_str(text);
        code.push('\n');
    };
    line(&format!("# {} under {} on {}", card.title, attack.method, experiment.dataset));
    line(&format!("# pip install torch safetensors; put {} beside this file.", card.weights.file));
    line("import base64");
    line("");
    line("import torch");
    line("import torch.nn.functional as F");
    line("from safetensors.torch import load_file");
    line("from torch import nn");
    line("");
    line(&format!("CLASSES = {classes:?}"));
    line(&network(card));
    line(&format!("weights = load_file({:?})", card.weights.file));
    line("model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})");
    line("model.eval().requires_grad_(False)");
    line("");
    line("# The picture, 28 × 28 grey values.");
    line(&format!("PIXELS = {:?}", STANDARD.encode(pixels)));
    line(
        "x = torch.frombuffer(bytearray(base64.b64decode(PIXELS)), dtype=torch.uint8).float().view(1, 1, 28, 28) / 255",
    );
    line(&format!("y = torch.tensor([{label}])  # {}", classes[label as usize]));
    match attack.target {
        Some(target) => line(&format!("target = torch.tensor([{target}])  # {}", classes[target as usize])),
        None => line("target = None"),
    }
    line(&format!("epsilon = {epsilon:?}  # {} norm, for pixels in [0, 1]", experiment.threat.norm));
    line("");
    line(LOSS);
    line(match experiment.threat.norm {
        Norm::Linf => LINF,
        Norm::L2 => L2,
        Norm::L1 => L1,
    });
    line(&match attack.method {
        Method::Fgsm => FGSM.to_string(),
        Method::Pgd => pgd(experiment),
    });
    line(REPORT);
    code
}

/// The network with the names that its weights have in the file.
fn network(card: &ModelCard) -> String {
    let mut modules = String::new();
    let mut shape = card.architecture.input;
    let costs = card.architecture.costs().unwrap_or_default();
    for (place, (layer, cost)) in card.architecture.layers.iter().zip(&costs).enumerate() {
        let Shape { channels, .. } = shape;
        let (name, module) = match layer {
            Layer::Conv2d { name, out, kernel, stride, padding } => {
                (name.clone(), format!("nn.Conv2d({channels}, {out}, {kernel}, stride={stride}, padding={padding})"))
            }
            Layer::Relu => (format!("relu{place}"), "nn.ReLU()".into()),
            Layer::MaxPool2d { size } => (format!("pool{place}"), format!("nn.MaxPool2d({size})")),
            Layer::Flatten => ("flatten".into(), "nn.Flatten()".into()),
            Layer::Linear { name, out } => (name.clone(), format!("nn.Linear({channels}, {out})")),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(modules, "    ({name:?}, {module}),");
        shape = cost.output;
    }
    format!("model = nn.Sequential()\nfor name, module in [\n{modules}]:\n    model.add_module(name, module)\n")
}

fn pgd(experiment: &Experiment) -> String {
    let attack = &experiment.attack;
    let alpha = attack.alpha_for(experiment.threat.epsilon);
    let start = match (attack.random_start, experiment.threat.norm) {
        (false, _) => "torch.zeros_like(x)",
        (true, Norm::Linf) => "torch.empty_like(x).uniform_(-epsilon, epsilon)",
        (true, Norm::L2) => "ball_start(2)",
        (true, Norm::L1) => "ball_start(1)",
    };
    let helper = match (attack.random_start, experiment.threat.norm) {
        (true, Norm::L2 | Norm::L1) => BALL_START,
        _ => "",
    };
    format!(
        "{helper}alpha, steps, restarts = {alpha:?}, {}, {}
torch.manual_seed({})
best = x
for _ in range(restarts):
    x_adv = project(x + {start})
    for _ in range(steps):
        x_adv = project(x_adv + steepest(gradient(x_adv), alpha))
    if restarts == 1 or loss(x_adv) > loss(best):
        best = x_adv
x_adv = best
",
        attack.steps, attack.restarts, experiment.seed
    )
}

const LOSS: &str = "
def loss(image):  # what the attack raises
    if target is not None:
        return -F.cross_entropy(model(image), target)
    return F.cross_entropy(model(image), y)


def gradient(image):
    image = image.clone().requires_grad_(True)
    return torch.autograd.grad(loss(image), image)[0]
";

const LINF: &str = "
def project(image):  # onto the ball around x and the box [0, 1]
    return (x + (image - x).clamp(-epsilon, epsilon)).clamp(0, 1)


def steepest(g, length):
    return length * g.sign()

";

const L2: &str = "
def project(image):  # onto the ball around x and the box [0, 1], exactly
    def at(scale):
        return (x + (image - x) * scale).clamp(0, 1)

    if (at(1.0) - x).norm() <= epsilon:
        return at(1.0)
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (at(middle) - x).norm() <= epsilon else (low, middle)
    return at(low)


def steepest(g, length):
    return length * g / g.norm().clamp_min(1e-12)

";

const L1: &str = "
def project(image):  # onto the ball around x and the box [0, 1], exactly
    delta = image - x
    room = torch.where(delta > 0, 1 - x, x)

    def at(threshold):
        return x + delta.sign() * (delta.abs() - threshold).clamp_min(0).minimum(room)

    if (at(0.0) - x).abs().sum() <= epsilon:
        return at(0.0)
    low, high = 0.0, float(delta.abs().max())
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if (at(middle) - x).abs().sum() <= epsilon else (middle, high)
    return at(high)

";

const FGSM: &str = "x_adv = project(x + steepest(gradient(x), epsilon))\n";

const BALL_START: &str = "
def ball_start(p):  # uniform in the ball of the norm
    if p == 2:
        direction = torch.randn_like(x)
        return direction / direction.norm() * epsilon * torch.rand(1) ** (1 / x.numel())
    parts = torch.distributions.Exponential(1.0).sample((x.numel() + 1,))
    signs = torch.randint(0, 2, x.shape) * 2.0 - 1
    return epsilon * signs * (parts[:-1] / parts.sum()).view_as(x)


";

const REPORT: &str = "
for name, image in [(\"before\", x), (\"after\", x_adv)]:
    probabilities = model(image).softmax(1)[0]
    top = int(probabilities.argmax())
    print(f\"{name}: {CLASSES[top]} {100 * float(probabilities[top]):.2f} %\")
delta = x_adv - x
print(f\"L1 {delta.norm(1):.4f}  L2 {delta.norm(2):.4f}  Linf {delta.abs().max():.4f}\")";
