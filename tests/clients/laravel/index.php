<?php
// The least Laravel application that broadcasts: Debian's php-laravel-framework, no skeleton, no Composer.
// Laravel's own classes do all the work; `Pusher.php` stands in for the one library that is missing.

require '/usr/share/php/Illuminate/autoload.php';
require __DIR__ . '/Pusher.php';

use Illuminate\Auth\GenericUser;
use Illuminate\Broadcasting\Channel;
use Illuminate\Broadcasting\InteractsWithSockets;
use Illuminate\Broadcasting\PresenceChannel;
use Illuminate\Broadcasting\PrivateChannel;
use Illuminate\Contracts\Broadcasting\ShouldBroadcastNow;
use Illuminate\Foundation\Application;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Auth;
use Illuminate\Support\Facades\Broadcast;
use Illuminate\Support\Facades\Route;

/** An event as an application writes one. */
class OrderShipped implements ShouldBroadcastNow
{
    use InteractsWithSockets;

    public function __construct(public int $order, private array $names)
    {
    }

    public function broadcastOn(): array
    {
        return array_map(fn ($name) => match (true) {
            str_starts_with($name, 'private-') => new PrivateChannel(substr($name, 8)),
            str_starts_with($name, 'presence-') => new PresenceChannel(substr($name, 9)),
            default => new Channel($name),
        }, $this->names);
    }
}

$app = new Application(getenv('LARAVEL_BASE'));
$app->singleton(Illuminate\Contracts\Http\Kernel::class, Illuminate\Foundation\Http\Kernel::class);
$app->singleton(Illuminate\Contracts\Debug\ExceptionHandler::class, Illuminate\Foundation\Exceptions\Handler::class);
$app->booted(function () {
    // A user is whom the bearer token names: numeric ids, as Laravel's own are.
    Auth::viaRequest('token', fn (Request $r) => $r->bearerToken() ? new GenericUser(['id' => (int) $r->bearerToken()]) : null);
    Broadcast::routes(['middleware' => []]);
    Broadcast::channel('orders.{id}', fn ($user, $id) => (int) $id === $user->id);
    Broadcast::channel('room', fn ($user) => ['name' => "user {$user->id}"]);
    Route::post('/ship', function (Request $r) {
        $sent = broadcast(new OrderShipped((int) $r->input('order'), $r->input('channels')));
        if ($r->input('to_others')) {
            $sent->toOthers();
        }
        unset($sent);

        return ['ok' => true];
    });
});
$kernel = $app->make(Illuminate\Contracts\Http\Kernel::class);
$response = $kernel->handle($request = Request::capture());
$response->send();
$kernel->terminate($request, $response);
