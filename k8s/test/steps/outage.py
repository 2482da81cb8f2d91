"""An API server that is away."""

import time

from controlled import COORDINATORS, INTERVAL
from machine import wait_for
from running import Watch, told

AWAY = 120


def rounds_go_on_without_the_api_server_and_the_controller_afterwards(network):
    network.have(3)
    restarts = network.restarts_of_the_controller()
    network.patch(shards=4)
    # In the midst of it.
    time.sleep(5)
    watch = Watch(COORDINATORS)
    network.cluster.stop_api_server()
    time.sleep(AWAY)
    longest = watch.check(f"the API server was away for {AWAY} s")
    assert longest < 2 * INTERVAL + 0.5, longest
    network.cluster.start_api_server()
    began, watch = time.monotonic(), Watch(COORDINATORS)
    wait_for("four shards that serve", 300, lambda: network.serves(4), every=0.5)
    told(f"FIGURE four shards serve {time.monotonic() - began:.0f} s after the API server is back")
    watch.check("the API server came back")
    assert network.restarts_of_the_controller() == restarts, "the controller did not get over it without a restart"
