//! What the engine computes, without its worker: the entry that `benches/` times in a browser.
//!
//! It is built as the engine is, with the feature `bench`, and is no part of the page.

#[cfg(all(target_arch = "wasm32", feature = "trainer"))]
#[path = "../../benches/candle/mod.rs"]
mod candle;

#[cfg(target_arch = "wasm32")]
mod entry {
    use epsilon_lab::nn::{Architecture, Arithmetic, Classifier, Executor, Weights, softmax};
    use wasm_bindgen::prelude::*;

    /// A network.
    #[wasm_bindgen]
    pub struct Network {
        executor: Executor,
        logits: Vec<f32>,
    }

    #[wasm_bindgen]
    impl Network {
        /// Reads an architecture (JSON, as in a model's card) and its weights (safetensors).
        ///
        /// # Errors
        /// If one of them cannot be read, or they do not fit each other.
        #[wasm_bindgen(constructor)]
        pub fn new(architecture: &str, weights: &[u8]) -> Result<Network, JsError> {
            console_error_panic_hook::set_once();
            let architecture: Architecture = serde_json::from_str(architecture)?;
            // Built with relaxed SIMD, it is to be used.
            let relaxed = cfg!(feature = "relaxed");
            let arithmetic = if relaxed { Arithmetic::Fused } else { Arithmetic::Exact };
            let executor = Executor::with(&architecture, &Weights::read(weights)?, arithmetic)?;
            Ok(Self { executor, logits: Vec::new() })
        }

        /// EfficientNet-Lite0 with its weights.
        ///
        /// # Errors
        /// If they are not its weights.
        pub fn efficientnet(weights: &[u8]) -> Result<Network, JsError> {
            let executor = Executor::new(&Architecture::efficientnet_lite0(), &Weights::read(weights)?)?;
            Ok(Self { executor, logits: Vec::new() })
        }

        /// The logits of N pictures, (N, K).
        pub fn logits(&mut self, images: &[f32]) -> Vec<f32> {
            self.make_room(images);
            self.executor.logits(images, &mut self.logits);
            self.logits.clone()
        }

        /// The gradient of the summed cross-entropy of N pictures with respect to them, as long as `images`.
        pub fn input_gradient(&mut self, images: &[f32], labels: &[u8]) -> Vec<f32> {
            self.make_room(images);
            let classes = self.executor.classes();
            let mut gradient = vec![0.0; images.len()];
            let mut cotangent = |logits: &[f32], cotangents: &mut [f32]| {
                let rows = logits.chunks_exact(classes).zip(cotangents.chunks_exact_mut(classes));
                for ((logits, cotangent), &label) in rows.zip(labels) {
                    softmax::cross_entropy_gradient(logits, label.into(), 1.0, cotangent);
                }
            };
            self.executor.input_gradient(images, &mut self.logits, &mut cotangent, &mut gradient);
            gradient
        }
    }

    /// The same network in candle alone.
    #[cfg(feature = "trainer")]
    #[wasm_bindgen]
    pub struct Candle(super::candle::Candle);

    #[cfg(feature = "trainer")]
    #[wasm_bindgen]
    impl Candle {
        /// As [`Network::new`].
        ///
        /// # Errors
        /// As there.
        #[wasm_bindgen(constructor)]
        pub fn new(architecture: &str, weights: &[u8]) -> Result<Candle, JsError> {
            let architecture: Architecture = serde_json::from_str(architecture)?;
            Ok(Self(super::candle::Candle::new(&architecture, &Weights::read(weights)?)?))
        }

        /// The logits of N pictures, (N, K).
        ///
        /// # Errors
        /// Those of candle.
        pub fn logits(&self, images: &[f32]) -> Result<Vec<f32>, JsError> {
            Ok(self.0.logits(images)?)
        }

        /// The gradient of the summed cross-entropy of N pictures with respect to them.
        ///
        /// # Errors
        /// Those of candle.
        pub fn input_gradient(&self, images: &[f32], labels: &[u8]) -> Result<Vec<f32>, JsError> {
            Ok(self.0.step(images, labels)?)
        }
    }

    impl Network {
        fn make_room(&mut self, images: &[f32]) {
            let pictures = images.len() / self.executor.input().len();
            self.logits.resize(pictures * self.executor.classes(), 0.0);
        }
    }
}

fn main() {
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("This program runs in a browser: `make bench` builds it for wasm32-unknown-unknown.");
}
