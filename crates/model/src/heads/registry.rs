//! From the list of classes in `mod.rs` to [`Architecture`](super::Architecture) and [`Model`](super::Model).

/// `$Variant($Class)` for every class: two enums, and what is asked of a class or of a model is passed on to its own
/// file.
macro_rules! registry {
    ($($(#[$doc:meta])* $variant:ident($class:ident)),+ $(,)?) => {
        /// A class of model that is read by its name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Architecture {
            $($(#[$doc])* $variant),+
        }

        impl Architecture {
            /// All of them.
            pub const ALL: [Self; [$(stringify!($variant)),+].len()] = [$(Self::$variant),+];

            /// What is known of the class.
            pub const fn class(self) -> &'static ClassInfo {
                match self {
                    $(Self::$variant => &<$class as ModelClass>::CLASS),+
                }
            }
        }

        /// A model of any class, which is known when running.
        #[derive(Module, Debug)]
        pub enum Model {
            $($(#[$doc])* $variant($class)),+
        }

        impl Model {
            /// Which class it is.
            pub fn architecture(&self) -> Architecture {
                match self {
                    $(Self::$variant(_) => Architecture::$variant),+
                }
            }

            /// A fresh head on an encoder, as [`ModelClass::from_encoder`].
            pub fn from_encoder(
                architecture: Architecture,
                nystromformer: Nystromformer,
                config: &NystromformerConfig,
                device: &Device,
            ) -> Self {
                match architecture {
                    $(Architecture::$variant => {
                        Self::$variant(ModelClass::from_encoder(nystromformer, config, device))
                    })+
                }
            }
        }

        impl PreTrainedModel for Model {
            fn class(&self) -> &'static ClassInfo {
                self.architecture().class()
            }

            fn nystromformer(&self) -> &Nystromformer {
                match self {
                    $(Self::$variant(model) => model.nystromformer()),+
                }
            }

            fn nystromformer_mut(&mut self) -> &mut Nystromformer {
                match self {
                    $(Self::$variant(model) => model.nystromformer_mut()),+
                }
            }
        }

        impl Head for Model {
            fn losses(
                &self,
                input: NystromformerInput,
                targets: TargetTensors,
            ) -> Result<Losses, ModelError> {
                match self {
                    $(Self::$variant(model) => model.losses(input, targets)),+
                }
            }

            fn outputs(
                &self,
                input: NystromformerInput,
                num_choices: usize,
            ) -> Result<Vec<Output>, ModelError> {
                match self {
                    $(Self::$variant(model) => model.outputs(input, num_choices)),+
                }
            }

            fn scores_of_states(
                &self,
                states: Tensor<3>,
                attention_mask: Option<Tensor<2, Int>>,
                positions: Tensor<1, Int>,
            ) -> Result<Option<Tensor<2>>, ModelError> {
                match self {
                    $(Self::$variant(model) => {
                        model.scores_of_states(states, attention_mask, positions)
                    })+
                }
            }

            fn label_layer_mut(&mut self) -> Option<&mut Linear> {
                match self {
                    $(Self::$variant(model) => model.label_layer_mut()),+
                }
            }
        }
    };
}
