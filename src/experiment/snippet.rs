//! An experiment as a PyTorch program.

use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Experiment;
use crate::nn::architecture::costs;
use crate::nn::zoo::ModelCard;
use crate::nn::{Architecture, Layer, Padding, Shape};
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
    line("import math");
    line("");
    line("import torch");
    line("import torch.nn.functional as F");
    line("from safetensors.torch import load_file");
    line("from torch import nn");
    line("");
    line(&format!("CLASSES = {classes:?}"));
    line(&format!("weights = load_file({:?})", card.weights.file));
    line(&network(card));
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
    line(&format!("torch.manual_seed({})\n", experiment.seed));
    match attack.method.pytorch(attack, &experiment.threat) {
        Some(attack) => line(&attack),
        None => line(&format!(
            "raise NotImplementedError(\"{} is not written out here. {}\")",
            attack.method,
            attack.method.paper()
        )),
    }
    line(REPORT);
    code
}

/// The network, with each layer's weights from the file.
fn network(card: &ModelCard) -> String {
    let Architecture { input, layers } = &card.architecture;
    let modules = modules(layers, *input, 4);
    let helper = if modules.contains("Normalize(") { NORMALIZE } else { "" };
    let residual = if modules.contains("Residual(") { RESIDUAL } else { "" };
    format!("{TRAINED}{helper}{residual}\n\nmodel = nn.Sequential(\n{modules})")
}

/// The layers of a chain as PyTorch modules, a line each.
fn modules(layers: &[Layer], input: Shape, indent: usize) -> String {
    let mut lines = String::new();
    let mut shape = input;
    let costs = costs(layers, input).unwrap_or_default();
    for (layer, cost) in layers.iter().zip(&costs) {
        let Shape { channels, height, width } = shape;
        let module = match layer {
            Layer::Normalize { mean, std } => format!("Normalize({mean:?}, {std:?})"),
            Layer::Conv2d { name, out, kernel, stride, padding: Padding { before, after }, groups } => {
                let groups = if *groups == 1 { String::new() } else { format!(", groups={groups}") };
                let (pad, padding) = if before == after {
                    (String::new(), *before)
                } else {
                    (format!("nn.ZeroPad2d(({before}, {after}, {before}, {after})), "), 0)
                };
                let conv =
                    format!("nn.Conv2d({channels}, {out}, {kernel}, stride={stride}, padding={padding}{groups})");
                format!("{pad}trained({name:?}, {conv})")
            }
            Layer::Relu => "nn.ReLU()".into(),
            Layer::Relu6 => "nn.ReLU6()".into(),
            Layer::LeakyRelu { slope } => format!("nn.LeakyReLU({slope:?})"),
            Layer::Sigmoid => "nn.Sigmoid()".into(),
            Layer::Tanh => "nn.Tanh()".into(),
            Layer::MaxPool2d { size } => format!("nn.MaxPool2d({size})"),
            Layer::AvgPool2d { size } => format!("nn.AvgPool2d({size})"),
            Layer::GlobalAvgPool => format!("nn.AvgPool2d(({height}, {width}))"),
            Layer::Flatten => "nn.Flatten()".into(),
            Layer::Linear { name, out } => format!("trained({name:?}, nn.Linear({channels}, {out}))"),
            Layer::Residual { layers } => {
                let inner = modules(layers, shape, indent + 4);
                format!("Residual(\n{inner}{:indent$})", "")
            }
            Layer::Dropout { share } => format!("nn.Dropout({share:?})"),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{:indent$}{module},", "");
        shape = cost.output;
    }
    lines
}

const TRAINED: &str = "

def trained(name, module):  # with its weights from the file
    module.load_state_dict({part: weights[f\"{name}.{part}\"].float() for part in (\"weight\", \"bias\")})
    return module
";

const NORMALIZE: &str = "

class Normalize(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.mean, self.std = (torch.tensor(values).view(-1, 1, 1) for values in (mean, std))

    def forward(self, x):
        return (x - self.mean) / self.std
";

const RESIDUAL: &str = "

class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)
";

const LOSS: &str = "
def loss(image):  # what the attack raises
    if target is not None:
        return -F.cross_entropy(model(image), target)
    return F.cross_entropy(model(image), y)


def margin(image):  # positive as soon as the goal is reached
    z = model(image)[0]
    c = int(y if target is None else target)
    others = torch.cat([z[:c], z[c + 1 :]]).max()
    return others - z[c] if target is None else z[c] - others


def gradient(image):
    image = image.clone().requires_grad_(True)
    return torch.autograd.grad(loss(image), image)[0]


def fooled(image):
    top = model(image).argmax(1)
    return bool(top == target if target is not None else top != y)

";

const LINF: &str = "
def project(image):  # onto the ball around x and the box [0, 1]
    return (x + (image - x).clamp(-epsilon, epsilon)).clamp(0, 1)


def steepest(image, g, length):
    return length * g.sign()


def ball_start():  # uniform in the ball
    return torch.empty_like(x).uniform_(-epsilon, epsilon)

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


def steepest(image, g, length):
    return length * F.normalize(g.flatten(), dim=0, eps=1e-38).view_as(g)


def ball_start():  # uniform in the ball
    direction = torch.randn_like(x)
    return direction / direction.norm() * epsilon * torch.rand(1) ** (1 / x.numel())

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


def steepest(image, g, length):  # shared by the steepest 1 % of the pixels that can still move
    movable = ((g > 0) & (image < 1)) | ((g < 0) & (image > 0))
    count = min(math.ceil(0.01 * g.numel()), int(movable.sum()))
    chosen = torch.where(movable, g.abs(), -1.0).flatten().topk(count).indices
    step = torch.zeros(g.numel())
    step[chosen] = length / max(count, 1) * g.flatten()[chosen].sign()
    return step.view_as(g)


def ball_start():  # uniform in the ball
    parts = torch.empty(x.numel() + 1).exponential_()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::Method;
    use crate::nn::zoo;

    fn program(experiment: &Experiment) -> String {
        let card = zoo::find(experiment.dataset, &experiment.model).unwrap();
        pytorch(experiment, card, &[0; 784], 3)
    }

    #[test]
    fn every_attack_is_written_out_or_says_that_it_is_not() {
        let mut written = 0;
        for method in Method::all() {
            let mut experiment = Experiment::default();
            experiment.choose_attack(method);
            let code = program(&experiment);
            assert!(code.contains("x_adv =") != code.contains("raise NotImplementedError"), "{method}\n{code}");
            assert!(code.contains(method.title()));
            written += code.contains("x_adv =") as u32;
        }
        assert!(written >= 5);
    }

    #[test]
    fn a_program_has_the_values_of_the_experiment() {
        let read = |query: &str| program(&Experiment::from_query(query).experiment);
        let pgd = read("attack=pgd&steps=7&alpha=0.03&momentum=0.5&objective=dlr&seed=9&restarts=2");
        for part in ["steps, restarts = 7, 2", "mu = 0.5", "alpha = 0.03", "(z[2] + z[3]) / 2", "torch.manual_seed(9)"]
        {
            assert!(pgd.contains(part), "{part}\n{pgd}");
        }
        assert!(read("attack=apgd").contains("checkpoints.append"));
        assert!(read("attack=deepfool&overshoot=0.5").contains("(1 + 0.5) * total"));
        assert!(read("attack=cw&norm=l2&kappa=2").contains("kappa, searches, iterations, rate = 2.0, 9, 100, 0.1"));
    }
}
