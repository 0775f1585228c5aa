"""The architectures of reports 001, 003 and 004: other families with the reports' sizes.

Those of reports 000 and 002, which have no parameters, are in ``plain``.
"""

from __future__ import annotations

from searchlab.models import cnn, fcn, local  # noqa: F401 (the presets build on them)
from searchlab.models.registry import register_preset

register_preset(
    "cnn_report001",
    family="cnn",
    summary="Three convolutions of 128, 256 and 512 filters and a layer of 1024 units (report 001)",
    depth=3,
    width=(128, 256, 512),
    hidden=1024,
    dropout_at="hidden",  # dropout follows fc1, and the pooling if block_dropout is set
)

register_preset(
    "2conv1fc",
    family="cnn",
    summary="Two convolutions of 32 and 64 filters and a layer of 128 units (report 003)",
    depth=2,
    width=(32, 64),
    pool=(1, 2),
    hidden=128,
)

register_preset(
    "1conv2fc",
    family="cnn",
    summary="One convolution of 32 filters and layers of 64 and 128 units (report 003)",
    depth=1,
    width=32,
    hidden=64,
    hidden2=128,
)

register_preset(
    "3fc",
    family="fcn",
    summary="Three fully connected hidden layers of 64, 128 and 256 units (report 003)",
    depth=3,
    width=(64, 128, 256),
)

# The report describes one pooling, after the third convolution, but gives the classifier
# 128 * 7 * 7 inputs for 28x28 images, so the side was halved twice. Its figures belong to those
# inputs, so this preset also pools after the second convolution, as the report's 2conv1fc does.
register_preset(
    "3conv",
    family="cnn",
    summary="Three convolutions of 32, 64 and 128 filters and the classifier (report 003)",
    depth=3,
    width=(32, 64, 128),
    pool=(1, 2, 2),
)

register_preset(
    "fcn_report004",
    family="fcn",
    summary="Three fully connected hidden layers of 512, 256 and 128 units (report 004)",
    depth=3,
    width=(512, 256, 128),
)

# The report gives no sizes for its LocalNet. This is its CNN with unshared weights, and a stride of
# 2 for each pooling; without it, the second layer would have 4.7 million weights on 16x16 images.
register_preset(
    "local_report004",
    family="local",
    summary="Two locally connected layers of 32 and 64 outputs and 128 units (after report 004)",
    depth=2,
    width=(32, 64),
    stride=2,
    hidden=128,
)

# The report lists 64 * 8 * 8 inputs of the layer of 128 units, which are those of 32x32 images. Its
# own have 16x16 pixels, of which two poolings leave 64 * 4 * 4. Here the layer takes what is left.
register_preset(
    "cnn_report004",
    family="cnn",
    summary="Two pooled convolutions of 32 and 64 filters and a layer of 128 units (report 004)",
    depth=2,
    width=(32, 64),
    hidden=128,
)
