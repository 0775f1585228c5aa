"""Networks of torchvision and timm of every kind, for the contract that each of them keeps."""

from __future__ import annotations

__all__ = ["MANY", "ONE_OF_A_KIND"]

_NAMES = {
    "torchvision": [
        "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_b1",
        "efficientnet_v2_s", "googlenet", "mnasnet0_5", "mnasnet1_0", "mobilenet_v2",
        "mobilenet_v3_large", "mobilenet_v3_small", "regnet_x_400mf", "regnet_y_400mf", "resnet18",
        "resnet50", "resnext50_32x4d", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "squeezenet1_0",
        "squeezenet1_1", "swin_t", "swin_v2_t", "vgg11_bn", "vit_b_32",
    ],
    "timm": [
        "resnet10t", "mobilenetv3_small_050", "deit3_small_patch16_224", "inception_next_atto",
        "swin_tiny_patch4_window7_224", "mixer_s32_224", "efficientnet_lite0", "resnetv2_50",
        "edgenext_xx_small", "poolformer_s12",
    ],
}  # fmt: skip

MANY = [(family, model) for family, models in _NAMES.items() for model in models]

ONE_OF_A_KIND = [
    ("torchvision", "vgg11_bn"),  # plain
    ("torchvision", "mobilenet_v3_small"),  # depthwise
    ("torchvision", "resnet18"),  # residual
    ("torchvision", "vit_b_32"),  # attention
    ("timm", "inception_next_atto"),  # patches
]
